/**
 * The README's code is the examples' code: each block names the region that it is taken from.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../', import.meta.url))
const readme = readFileSync(`${root}README.md`, 'utf8')

const blocks = [...readme.matchAll(/^(?:<!-- (?<file>examples\/\S+)#(?<region>\S+) -->\n)?```(?<language>ts|js|typescript|javascript)\n(?<code>[^]*?)^```$/gm)].map(
  ({ groups }) => groups as { file?: string; region?: string; language: string; code: string },
)

/** What stands between `// #region name` and the next `// #endregion`, without the indentation that all of it has. */
function regionOf(file: string, region: string): string {
  const source = readFileSync(root + file, 'utf8')
  const lines = source.split('\n')
  const begin = lines.findIndex((line) => line.trim() === `// #region ${region}`)
  const end = lines.findIndex((line, index) => index > begin && line.trim() === '// #endregion')
  if (begin < 0 || end < 0) throw new Error(`${file} has no region ${region}`)
  const body = lines.slice(begin + 1, end)
  const indentation = Math.min(...body.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length))
  return body.map((line) => `${line.slice(indentation)}\n`).join('')
}

describe('README.md', () => {
  test('has code', () => expect(blocks.length).toBeGreaterThan(5))

  test.each(blocks)('$file#$region is quoted as it is', ({ file, region, code }) => {
    if (file === undefined || region === undefined) throw new Error(`this block is taken from no example:\n${code}`)
    expect(code).toBe(regionOf(file, region))
  })

  test('links to files that are there', () => {
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path as string)
    expect(links.filter((path) => !existsSync(root + path))).toEqual([])
  })

  test('links to headings that are there', () => {
    const slugs = [...readme.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'))
    const anchors = [...readme.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor as string)
    expect(anchors.filter((anchor) => !slugs.includes(anchor))).toEqual([])
  })
})
