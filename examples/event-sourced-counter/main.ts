import { inDirectory } from '../support/in-directory.js'
import { Credits } from './credits.js'

await inDirectory(async (directory) => {
  const credits = await Credits.open(directory)
  await credits.grant('alice', 500)
  const answers = await Promise.all(Array.from({ length: 1000 }, () => credits.use('alice', 1)))
  console.log(`1000 asked for a credit, ${answers.filter(Boolean).length} got one; ${credits.logged} events`)
  await credits.snapshot()
  await credits.grant('alice', 4)
  await credits.close()

  const again = await Credits.open(directory)
  console.log(`from the snapshot and ${again.logged} event: ${again.of('alice')} left`)
  await again.close()
})
