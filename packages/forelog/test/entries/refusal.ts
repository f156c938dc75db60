import { expect } from 'vitest'
import { WalError, type WalErrorCode } from '../../src/errors.js'

/** The WalError that a call throws; anything else fails the test. */
export function refusal(code: WalErrorCode, call: () => unknown): WalError {
  let thrown: unknown
  try {
    call()
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(WalError)
  expect((thrown as WalError).code).toBe(code)
  return thrown as WalError
}
