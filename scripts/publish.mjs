// Publishes each package whose version isn't on the registry yet, with provenance: node scripts/publish.mjs <repository URL>
// Only the release workflow can: the statement is signed with the identity of a run. `--dry-run` shows what would be published.
//
// The registry refuses a statement about another repository than package.json names, and so that a fork can release under
// a name of its own, the workflow says which one this is.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [url, ...flags] = process.argv.slice(2)
if (!URL.canParse(url ?? '')) throw new Error('usage: node scripts/publish.mjs <repository URL> [--dry-run]')

for (const folder of readdirSync(join(root, 'packages')).map((name) => join('packages', name))) {
  const path = join(root, folder, 'package.json')
  const original = readFileSync(path, 'utf8')
  const manifest = JSON.parse(original)
  if (manifest.private) continue
  if (isPublished(`${manifest.name}@${manifest.version}`)) {
    console.log(`${manifest.name}@${manifest.version} is published already`)
    continue
  }
  manifest.repository = { type: 'git', url: `git+${url}.git`, directory: folder }
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`)
  try {
    const provenance = flags.includes('--dry-run') ? [] : ['--provenance']
    const { status } = spawnSync('npm', ['publish', '--access', 'public', ...provenance, ...flags], { cwd: join(root, folder), stdio: 'inherit' })
    if (status !== 0) throw new Error(`${manifest.name} could not be published`)
  } finally {
    writeFileSync(path, original)
  }
}

function isPublished(specifier) {
  const { status, stdout } = spawnSync('npm', ['view', specifier, 'version'], { encoding: 'utf8' })
  return status === 0 && stdout.trim() !== ''
}
