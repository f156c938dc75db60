/**
 * What the README and docs/ say is held to the project: their code is the examples' code, their links lead somewhere, and every error
 * has its section.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorCodes } from 'forelog'
import { describe, expect, test } from 'vitest'
// @ts-expect-error: plain JavaScript, as all scripts are
import * as quotes from '../scripts/quoted-examples.mjs'

interface Block {
  readonly page: string
  readonly file?: string
  readonly region?: string
  readonly code: string
  readonly link?: string
}

const { pages, blocksOf, linkTo, regionOf } = quotes as {
  pages(): string[]
  blocksOf(page: string): Block[]
  linkTo(page: string, file: string, code: string): string
  regionOf(file: string, region: string): string
}

const root = fileURLToPath(new URL('../', import.meta.url))
const read = (page: string): string => readFileSync(join(root, page), 'utf8')
const withoutCode = (text: string): string => text.replace(/^```[^]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')
const slugs = (text: string): string[] =>
  [...text.replace(/^```[^]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-'),
  )

test('the pages have code to quote', () => {
  expect(blocksOf('README.md').length).toBeGreaterThan(0)
  expect(pages().flatMap(blocksOf).length).toBeGreaterThan(20)
})

describe.each(pages())('%s', (page) => {
  test('quotes the examples as they are', () => {
    for (const { file, region, code, link } of blocksOf(page)) {
      if (file === undefined || region === undefined) throw new Error(`this block is taken from no example:\n${code}`)
      expect(code, `${file}#${region}; npm run quote puts it right`).toBe(regionOf(file, region))
      expect(link, `below ${file}#${region}; npm run quote puts it there`).toBe(linkTo(page, file, code))
    }
  })

  test('links to files and headings that are there', () => {
    const dead: string[] = []
    for (const [, link = ''] of withoutCode(read(page)).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path = '', heading] = link.split('#')
      const target = path === '' ? page : path.startsWith('/') ? `docs${path}.md` : join(dirname(page), path)
      if (!existsSync(join(root, target))) dead.push(link)
      else if (heading !== undefined && !slugs(read(target)).includes(heading)) dead.push(link)
    }
    expect(dead).toEqual([])
  })
})

test.each(errorCodes)('%s has a section that says the cause and the remedy', (code) => {
  const section = read('docs/reference/errors.md').split(/^## /m).find((text) => text.startsWith(`${code}\n`))
  expect(section).toContain('**Cause.**')
  expect(section).toContain('**Remedy.**')
})
