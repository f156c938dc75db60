import { main } from './service.js'

await main(process.argv[2] ?? './data/orders')
