import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'

// What scripts/build-docs.mjs puts together: docs/, and the API reference.
const pages = fileURLToPath(new URL('../pages/', import.meta.url))

function page(text, link) {
  if (!existsSync(`${pages}${link}.md`)) throw new Error(`the sidebar names docs/${link}.md, which is not there`)
  return { text, link: `/${link}` }
}

const guide = [
  {
    text: 'Guide',
    items: [
      page('First steps', 'guide/first-steps'),
      page('What survives what', 'guide/durability'),
      page('Entries', 'guide/entries'),
      page('Reading', 'guide/reading'),
      page('Cursors', 'guide/cursors'),
      page('Checkpoints and snapshots', 'guide/checkpoints'),
      page('Retention', 'guide/retention'),
      page('Testing your own crashes', 'guide/crash-tests'),
      page('Operating', 'guide/operating'),
      page('Watching', 'OBSERVING'),
      page('The command', 'guide/command'),
      page('Toolchains', 'guide/toolchains'),
      page('Coming from elsewhere', 'guide/migrating'),
    ],
  },
  {
    text: 'Recipes',
    items: [
      page('Short ones', 'guide/recipes'),
      page('Ingest over HTTP', 'guide/ingest'),
      page('An outbox', 'guide/outbox'),
      page('A job queue', 'guide/job-queue'),
      page('Event sourcing', 'guide/event-sourcing'),
      page('Metrics', 'guide/metrics'),
    ],
  },
  {
    text: 'Reference',
    items: [
      page('Options', 'reference/options'),
      page('Errors', 'reference/errors'),
      { text: 'API', link: '/api/' },
      page('Versions', 'VERSIONING'),
    ],
  },
  {
    text: 'How it works',
    items: [
      page('Architecture', 'ARCHITECTURE'),
      page('The format', 'FORMAT'),
      page('Reliability', 'RELIABILITY'),
      page('Performance', 'PERFORMANCE'),
    ],
  },
]

function slugify(heading) {
  return heading.toLowerCase().replace(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-')
}

// Written by TypeDoc, from the comments of the source.
const api = JSON.parse(readFileSync(`${pages}api/typedoc-sidebar.json`, 'utf8'))

export default defineConfig({
  srcDir: 'pages',
  title: 'forelog',
  description: 'A write-ahead log for Node.js: entries are on stable storage before append resolves, and come back in order after any crash.',
  lang: 'en',
  // Served from a folder of a site, if it says so: DOCS_BASE=/forelog/
  base: process.env.DOCS_BASE ?? '/',
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: `${process.env.DOCS_BASE ?? '/'}logo.svg` }]],
  // As the forge has them, so that links to headings hold in both places.
  markdown: { anchor: { slugify }, languages: [{ name: 'hex', scopeName: 'text.hex', patterns: [], repository: {} }] },
  themeConfig: {
    logo: '/logo.svg',
    nav: [
      { text: 'Guide', link: '/guide/first-steps', activeMatch: '/guide/' },
      { text: 'Errors', link: '/reference/errors' },
      { text: 'API', link: '/api/', activeMatch: '/api/' },
    ],
    sidebar: { '/api/': [{ text: 'API reference', items: api }, ...guide.slice(1)], '/': guide },
    outline: { level: [2, 3] },
    search: { provider: 'local' },
    docFooter: { prev: 'Before', next: 'Next' },
  },
})
