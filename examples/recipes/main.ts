import { join } from 'node:path'
import { WriteAheadLog } from 'forelog'
import { inDirectory } from '../support/in-directory.js'
import { appendOrMakeRoom, count, rawLog, reading, stockEntries, withLogger } from './recipes.js'

await inDirectory(async (directory) => {
  console.log(await rawLog(join(directory, 'raw')))

  await withLogger(join(directory, 'stock'))
  const log = await WriteAheadLog.open(join(directory, 'stock'), { entries: stockEntries })
  try {
    await appendOrMakeRoom(log, 'apples', 1)
    console.log(await reading(log, 0), await count(log))
  } finally {
    await log.close()
  }
})
