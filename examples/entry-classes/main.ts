import { inDirectory } from '../support/in-directory.js'
import { entryClasses } from './entry-classes.js'

await inDirectory(async (directory) => {
  for (const { sensor, celsius } of await entryClasses(directory)) console.log(`sensor ${sensor}: ${celsius} °C`)
})
