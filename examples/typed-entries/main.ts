import { inDirectory } from '../support/in-directory.js'
import { typedEntries } from './typed-entries.js'

await inDirectory(async (directory) => {
  for (const [id, { status, cents, placedAt }] of await typedEntries(directory)) {
    console.log(`${id}: ${(cents / 100).toFixed(2)}, placed ${placedAt.toISOString()}, ${status}`)
  }
})
