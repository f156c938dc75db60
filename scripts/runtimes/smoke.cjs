// The package by `require`. Run by scripts/test-runtimes.mjs: smoke.cjs <directory that is not there yet>

const { equal } = require('node:assert/strict')
const { WriteAheadLog } = require('forelog')

async function main(directory) {
  const log = await WriteAheadLog.open(directory)
  try {
    equal(await log.append(new Uint8Array([1, 2, 3])), 1)
    equal((await log.get(1)).entry.payload.length, 3)
  } finally {
    await log.close()
  }
  console.log('ok')
}

main(process.argv[2]).catch((error) => {
  console.error(error)
  process.exitCode = 1
})
