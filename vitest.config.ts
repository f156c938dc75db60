import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'
import { skipReporter } from './scripts/skip-reporter.ts'

const rootTests = 'packages/*/test/**/*.root.test.ts'
const commandTests = 'packages/forelog-cli/test/**/*.test.ts'
const packageTests = 'packages/*/test/package/**/*.test.ts'
const proofs = 'packages/*/test/proofs/**/*.test.ts'
const build = './scripts/vitest-build.ts'

// Set by `npm test` when somebody wants to count: the file for vitest's report.
const reportFile = process.env['FORELOG_TEST_REPORT']
const report: ['json', object][] = reportFile === undefined ? [] : [['json', { outputFile: reportFile }]]

export default defineConfig({
  resolve: {
    // Tests read the source. What is built is tested by the package tests and the examples, in processes of their own.
    alias: [
      { find: /^forelog$/, replacement: fileURLToPath(new URL('packages/forelog/src/index.ts', import.meta.url)) },
      { find: /^forelog\/testing$/, replacement: fileURLToPath(new URL('packages/forelog/src/testing/index.ts', import.meta.url)) },
    ],
  },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', skipReporter, ...report],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, rootTests, packageTests, commandTests, proofs],
        },
      },
      // Crashes, kills and flipped bits by the thousand: minutes, where the rest takes seconds.
      { extends: true, test: { name: 'proofs', include: [proofs], exclude: [...configDefaults.exclude, rootTests] } },
      // The measurements measure, and the docs quote what they left.
      { extends: true, test: { name: 'bench', include: ['bench/test/**/*.test.ts'], globalSetup: build } },
      { extends: true, test: { name: 'examples', include: ['examples/**/*.test.ts'], globalSetup: build } },
      // The command as it is built, in processes of its own.
      { extends: true, test: { name: 'command', include: [commandTests], exclude: [...configDefaults.exclude, packageTests], globalSetup: build } },
      // The package as it is published.
      { extends: true, test: { name: 'package', include: [packageTests], globalSetup: build } },
      // What needs root, or a tool that only .ci/run installs: strace, mounts, quotas. Each says why when it skips.
      {
        extends: true,
        test: {
          name: 'root',
          include: [rootTests],
          globalSetup: build,
          env: { FORELOG_ROOT_TESTS: '1' },
        },
      },
    ],
  },
})
