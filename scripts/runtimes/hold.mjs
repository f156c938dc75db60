// Holds a log until its standard input ends. Run by scripts/test-runtimes.mjs: hold.mjs <directory>

import { WriteAheadLog } from 'forelog'

const log = await WriteAheadLog.open(process.argv[2])
console.log('held')
process.stdin.on('end', () => void log.close()).resume()
