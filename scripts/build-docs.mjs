// npm run docs: the documentation as a site, in website/.vitepress/dist. `-- --serve` shows it, too.
//
// The API reference is made from the comments of the source (TypeDoc), then VitePress builds it with docs/. VitePress fails
// on a link to a page that isn't there; links to headings are checked here. What that needs is installed in website/, which
// has a lock file of its own, so that the checkout of somebody who doesn't build the site stays small.

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withCharts } from '../website/charts.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const website = join(root, 'website')
const dist = join(website, '.vitepress/dist')

if (!isInstalled()) npm('ci', '--loglevel=error')
// A copy, for what is outside of website/ doesn't find what is installed in it.
rmSync(join(website, 'pages'), { recursive: true, force: true })
cpSync(join(root, 'docs'), join(website, 'pages'), { recursive: true })
cpSync(join(root, 'packages/forelog-cli/README.md'), join(website, 'pages/guide/command.md'))
drawCharts(join(website, 'pages/PERFORMANCE.md'))
bringExamples(join(website, 'pages'))
tool('typedoc/bin/typedoc', '--options', 'typedoc.json', '--logLevel', 'Warn', '--treatWarningsAsErrors')
tool('vitepress/bin/vitepress.js', 'build', '.')
checkHeadings()
if (process.argv.includes('--serve')) tool('vitepress/bin/vitepress.js', 'preview', '.')

function isInstalled() {
  const installed = join(website, 'node_modules/.package-lock.json')
  if (!existsSync(installed)) return false
  const versions = (file) =>
    Object.entries(JSON.parse(readFileSync(file, 'utf8')).packages)
      .filter(([path, entry]) => path !== '' && !entry.optional)
      .map(([path, { version }]) => `${path}@${version}`)
  const have = new Set(versions(installed))
  return versions(join(website, 'package-lock.json')).every((version) => have.has(version))
}

/** The figures on that page are quoted from a committed result file; its charts are drawn from the same. */
function drawCharts(page) {
  const resultsOf = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'))
  writeFileSync(page, withCharts(readFileSync(page, 'utf8'), resultsOf))
}

/** The examples lie outside of the site. Those that pages link to come along, as text: browsers take `.ts` for a film. */
function bringExamples(pages) {
  for (const path of readdirSync(pages, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'))) {
    const before = readFileSync(join(pages, path), 'utf8')
    const after = before.replace(/\]\((?:\.\.\/)+examples\/([^)\s]+)\)/g, (_, example) => {
      const copy = join(pages, 'public/examples', `${example}.txt`)
      mkdirSync(dirname(copy), { recursive: true })
      cpSync(join(root, 'examples', example), copy)
      return `](/examples/${example}.txt)`
    })
    if (after !== before) writeFileSync(join(pages, path), after)
  }
}

/** Every link to a heading, in every page: is there an element with that id? */
function checkHeadings() {
  const pages = readdirSync(dist, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.html'))
    .map((path) => path.replaceAll('\\', '/'))
  const html = new Map(pages.map((path) => [path, readFileSync(join(dist, path), 'utf8')]))
  const ids = new Map([...html].map(([path, text]) => [path, new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))]))
  const base = process.env.DOCS_BASE ?? '/'
  const dead = []
  let checked = 0
  for (const [path, text] of html) {
    for (const [, href] of text.matchAll(/ href="([^"]*#[^"]+)"/g)) {
      const url = new URL(href, `file:///${path}`)
      if (url.protocol !== 'file:') continue
      const inSite = decodeURIComponent(href.startsWith(base) ? `/${href.slice(base.length).split('#')[0]}` : url.pathname)
      const target = inSite.endsWith('/') ? `${inSite}index.html` : inSite
      checked++
      if (!ids.get(target.slice(1))?.has(decodeURIComponent(url.hash.slice(1)))) dead.push(`${path}: ${href}`)
    }
  }
  for (const link of new Set(dead)) console.error(`dead link to a heading: ${link}`)
  if (dead.length > 0) fail(`${new Set(dead).size} links lead to headings that are not there`)
  console.log(`${pages.length} pages, ${checked} links to headings checked`)
}

function tool(path, ...args) {
  run(process.execPath, [join(website, 'node_modules', path), ...args])
}

function npm(...args) {
  console.log(`Installing what the site is built with (npm ${args[0]}) …`)
  const cli = process.env.npm_execpath
  const byPath = cli === undefined || basename(cli) !== 'npm-cli.js'
  if (byPath) run('npm', args, process.platform === 'win32')
  else run(process.execPath, [cli, ...args])
}

function run(command, args, shell = false) {
  const { status, error } = spawnSync(command, args, { cwd: website, stdio: 'inherit', shell })
  if (status !== 0) fail(`${[basename(command), ...args.map((arg) => basename(arg))].join(' ')} failed${error ? `: ${error.message}` : ''}`)
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
