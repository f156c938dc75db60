import { expect, test } from 'vitest'
import { runExample, temporaryDirectory } from '../support/run-example.js'
import { entryClasses, Measurement } from './entry-classes.js'

test('entries of an own class come back as instances of it', async () => {
  const directory = temporaryDirectory()
  const appended = [Measurement.of(7, 21.5), Measurement.of(8, -4.25)]

  expect(await entryClasses(directory)).toEqual(appended)
  expect(await entryClasses(directory)).toEqual([...appended, ...appended])
})

test('it runs', async () => {
  const { code, stdout, stderr } = await runExample('entry-classes/main.ts')

  expect(stderr).toBe('')
  expect(stdout).toBe('sensor 7: 21.5 °C\nsensor 8: -4.25 °C\n')
  expect(code).toBe(0)
})
