import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import { configs } from 'typescript-eslint'

export default defineConfig(
  // What is in assembly/ is AssemblyScript: its types are others, and its compiler checks it.
  globalIgnores(['.runtimes/', 'website/pages/', '**/dist/', '**/coverage/', 'packages/forelog/assembly/']),
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: ['error', 'always'],
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },

  {
    files: ['**/*.ts', '**/*.mts', '**/*.cts'],
    extends: [configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A promise that nobody waits for is an acknowledgement that nobody sees, or an unhandled rejection.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // An implementation of an asynchronous interface may have nothing to wait for, yet has to reject, not throw.
      '@typescript-eslint/require-await': 'off',
      // The inference of entry types needs it where variance does not matter (`Codec<any, any>`); values of type `any` are
      // still caught where they are used.
      '@typescript-eslint/no-explicit-any': 'off',
      // A name for `Base<Arguments>` reads better in messages than its arguments.
      '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'with-single-extends' }],
      // Causes are `unknown`, and they are rejected as they came.
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      // Numbers are what messages are made of.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },

  {
    files: ['packages/*/src/**'],
    rules: {
      // A library speaks through its logger, or not at all.
      'no-console': 'error',
    },
  },

  {
    files: ['packages/*/test/**/*.ts', 'examples/**/*.test.ts', 'bench/test/**/*.ts'],
    rules: {
      // Tests look at what JSON.parse, child processes and deliberately wrong calls give.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },

  {
    // Plain JavaScript: scripts that run before anything is installed, and configuration.
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    languageOptions: {
      globals: Object.fromEntries(
        ['Buffer', 'URL', 'console', 'performance', 'process', 'setTimeout', 'clearTimeout'].map((name) => [name, 'readonly']),
      ),
    },
  },
)
