// The code in the README and in docs/ is quoted from the examples, which are tested: above each block stands where it is from.
//
//     <!-- examples/quick-start/quick-start.ts#quick-start -->
//
// Below it stands a link to that file, which has the imports, too, and is run by a test.
//
// `npm run quote` puts what the examples say into the blocks, and the links; examples/docs.test.ts holds that they say the same.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const quoted = /^(?:<!-- (?<file>examples\/\S+)#(?<region>\S+) -->\n)?```(?<language>ts|js|typescript|javascript)\n(?<code>[^]*?)^```$(?:\n\n(?<link>\*From \[.*\*)$)?/gm

/** The README and every page of docs/, relative to the root. */
export function pages() {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((path) => path.replaceAll('\\', '/'))
  return ['README.md', ...docs.filter((path) => path.endsWith('.md')).map((path) => `docs/${path}`)].sort()
}

/** The blocks of code in a page; `file` and `region` are missing where a block says not where it is from. */
export function blocksOf(page) {
  return [...readFileSync(join(root, page), 'utf8').matchAll(quoted)].map(({ groups }) => ({ page, ...groups }))
}

/** The line below a block: where its code is from, and what it needs. */
export function linkTo(page, file, code) {
  const imports = /^(import |const .* = require\()/m.test(code) ? '' : ', which has its imports, too'
  return `*From [${file}](${posix.relative(dirname(page), file)})${imports}.*`
}

/** What stands between `// #region name` and the next `// #endregion`, without the indentation that all of it has. */
export function regionOf(file, region) {
  const lines = readFileSync(join(root, file), 'utf8').split('\n')
  const begin = lines.findIndex((line) => line.trim() === `// #region ${region}`)
  const end = lines.findIndex((line, index) => index > begin && line.trim() === '// #endregion')
  if (begin < 0 || end < 0) throw new Error(`${file} has no region ${region}`)
  const body = lines.slice(begin + 1, end)
  const indentation = Math.min(...body.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length))
  return body.map((line) => `${line.slice(indentation)}\n`).join('')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const page of pages()) {
    const path = join(root, page)
    const before = readFileSync(path, 'utf8')
    const after = before.replace(quoted, (block, ...rest) => {
      const { file, region, language } = rest.at(-1)
      if (file === undefined) return block
      const code = regionOf(file, region)
      return `<!-- ${file}#${region} -->\n\`\`\`${language}\n${code}\`\`\`\n\n${linkTo(page, file, code)}`
    })
    if (after === before) continue
    writeFileSync(path, after)
    console.log(`quoted anew: ${page}`)
  }
}
