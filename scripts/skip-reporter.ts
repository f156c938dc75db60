import { type Reporter, type TestModule } from 'vitest/node'

/** Tells of every test that was skipped, and why: `context.skip('reason')`. No skip goes by in silence. */
export const skipReporter: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const result = test.result()
        const reason = result.state === 'skipped' ? result.note : undefined
        console.log(`skipped: ${module.relativeModuleId}: ${test.fullName}: ${reason ?? 'no reason given'}`)
      }
    }
  },
}
