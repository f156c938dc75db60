// The floors of the house: imports in packages/forelog/src point down this list, type imports included, and never in a
// circle. Each place names what it may import besides itself; a file or folder that is not here fails the check.
// The drawing, with what flows along each arrow, is in docs/ARCHITECTURE.md.

const ground = ['errors', 'logger', 'stats', 'steps', 'diagnostics', 'inspect']
const segmentsAndBelow = ['segments', 'options', 'files', 'commit', 'entries', 'format', ...ground]

const floors = {
  index: ['log-types', 'write-ahead-log', 'log-reader', 'retention', 'cursors', 'maintenance', 'streams', 'recovery', 'reading', ...segmentsAndBelow],
  // Types to pass a log around by.
  'log-types': ['retention', 'cursors', 'write-ahead-log', 'recovery', 'reading', ...segmentsAndBelow],
  'write-ahead-log': ['retention', 'cursors', 'log-reader', 'streams', 'recovery', 'reading', ...segmentsAndBelow],
  // The reading half alone, of a log that another process writes.
  'log-reader': ['cursors', 'recovery', 'reading', ...segmentsAndBelow],

  // Keeps a log within limits; what cursors need it is told.
  retention: ['cursors', ...segmentsAndBelow],

  // Named positions, in files beside the segments.
  cursors: ['reading', ...segmentsAndBelow],

  // Looks at logs, and mends them, without opening them; beside the log, and neither knows of the other.
  maintenance: ['cursors', 'recovery', ...segmentsAndBelow],

  // Logs as ends of pipelines; knows no log, only what it does to one.
  streams: ['options', ...ground],

  recovery: segmentsAndBelow,
  reading: segmentsAndBelow,

  segments: segmentsAndBelow.filter((place) => place !== 'segments'),

  // Resolves what callers pass to `open`, so it knows the types of the parts, and the parts don't know it.
  options: ['files', 'commit', 'entries', 'format', ...ground],

  files: ground,
  commit: ['entries', ...ground],
  entries: ['format', ...ground],
  format: ['errors'],

  errors: [],
  logger: [],
  steps: [],
  inspect: [],
  stats: ['errors', 'logger'],
  diagnostics: ['errors'],

  // Public as `forelog/testing`: a disk for tests. Nothing stands on it.
  testing: ['files', ...ground],
}

const src = '^packages/forelog/src/'
/** A place is a file (`errors.ts`) or a folder (`format/…`). */
const placed = (places) => `${src}(${places.join('|')})(\\.ts$|/)`

export default {
  forbidden: [
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'every-file-has-a-floor',
      comment: 'Give the new file or folder its place in .dependency-cruiser.mjs and docs/ARCHITECTURE.md.',
      severity: 'error',
      from: { path: src, pathNot: placed(Object.keys(floors)) },
      to: {},
    },
    ...Object.entries(floors).map(([place, below]) => ({
      name: `floor-of-${place}`,
      comment: `${place} may import ${below.join(', ') || 'nothing'}.`,
      severity: 'error',
      from: { path: placed([place]) },
      to: { path: src, pathNot: placed([place, ...below]) },
    })),
    {
      name: 'the-command-uses-the-public-library',
      comment: 'What the command needs, others need too: it is exported, or the command does without.',
      severity: 'error',
      from: { path: '^packages/forelog-cli/src/' },
      to: { path: '^packages/forelog/(?!src/index\\.ts|dist/index\\.)' },
    },
    {
      name: 'commands-stand-apart',
      comment: 'What two commands share stands beside them, and what all share knows of none.',
      severity: 'error',
      from: { path: '^packages/forelog-cli/src/(?!commands\\.ts|main\\.ts|index\\.ts|commands/)' },
      to: { path: '^packages/forelog-cli/src/(commands/|commands\\.ts)' },
    },
    {
      name: 'what-is-imported-exists',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'only-declared-dependencies',
      comment: 'The library runs on Node.js and on its `dependencies` alone. Its declarations ask for the types of Node.js.',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], pathNot: '^node_modules/@types/node/' },
    },
    {
      name: 'disks-are-reached-through-files',
      comment: 'What reads or writes goes through the FileSystem interface, so that every disk error can be played.',
      severity: 'error',
      from: { path: src, pathNot: `${src}files/` },
      to: { path: '^(node:)?fs(/promises)?$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Type imports are arrows too.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'default'] },
  },
}
