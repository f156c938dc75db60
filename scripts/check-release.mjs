// Before a release: node scripts/check-release.mjs v1.2.3
// The tag, the versions of all packages and the head of the changelog have to say the same.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const tag = process.argv[2] ?? ''
const version = tag.replace(/^v/, '')

const problems = readdirSync(join(root, 'packages'))
  .map((name) => JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')))
  .filter((manifest) => manifest.version !== version)
  .map((manifest) => `${manifest.name} has version ${manifest.version}`)

const [, newest] = /^## \[(\d[^\]]*)\]/m.exec(readFileSync(join(root, 'CHANGELOG.md'), 'utf8')) ?? []
if (newest !== version) problems.push(`the newest version of CHANGELOG.md is ${newest ?? 'none but Unreleased'}`)

for (const problem of problems) console.error(`The tag is ${tag}, but ${problem}.`)
process.exitCode = problems.length === 0 ? 0 : 1
