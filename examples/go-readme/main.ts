import { join } from 'node:path'
import { inDirectory } from '../support/in-directory.js'
import { goReadme } from './go-readme.js'

await inDirectory(async (directory) => {
  for (const format of [2, 1] as const) {
    const offset = await goReadme(join(directory, `format-${format}`), format, console)
    console.log(`format ${format}: offset ${offset}`)
  }
})
