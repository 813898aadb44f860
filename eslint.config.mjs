import eslint from '@eslint/js';
import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/**
 * Who may import whom (docs/ARCHITECTURE.md): service → kit → core. Services never import each other, nor kits each
 * other. `tools/boundary-fixture` breaks the rule on purpose; `tools/boundaries.int.spec.ts` fails when lint does not notice.
 */
const kits = ['kit:dimse', 'kit:event-log', 'kit:service-kit', 'kit:embedded'];
const services = [
  'dimse-edge',
  'update-relay',
  'query-federator',
  'prefetcher',
  'config-store',
  'ris-gateway',
  'console',
];
const boundaries = [
  { sourceTag: 'type:core', onlyDependOnLibsWithTags: ['type:core'] },
  ...kits.map((kit) => ({ sourceTag: kit, onlyDependOnLibsWithTags: ['type:core', kit] })),
  { sourceTag: 'type:testing', onlyDependOnLibsWithTags: ['type:core', 'kit:embedded', 'type:testing'] },
  ...services.map((name) => ({
    sourceTag: `service:${name}`,
    onlyDependOnLibsWithTags: ['type:core', 'type:kit', `service:${name}`],
  })),
  // The demonstration loads the same phantoms that the tests use.
  {
    sourceTag: 'type:deploy',
    onlyDependOnLibsWithTags: ['type:core', 'type:kit', 'type:service', 'type:testing'],
  },
  {
    sourceTag: 'type:e2e',
    onlyDependOnLibsWithTags: ['type:core', 'kit:embedded', 'type:testing', 'kit:dimse'],
  },
  {
    sourceTag: 'type:bench',
    onlyDependOnLibsWithTags: ['type:core', 'type:kit', 'type:testing', 'type:e2e'],
  },
];

/** Specs may start real servers and ship scripted peers, whatever room they are in. */
const specBoundaries = boundaries.map((rule) => ({
  ...rule,
  onlyDependOnLibsWithTags: [
    ...new Set([...rule.onlyDependOnLibsWithTags, 'type:testing', 'type:kit', 'type:core']),
  ],
}));

const boundaryRule = (depConstraints) => [
  'error',
  { enforceBuildableLibDependency: false, allowCircularSelfDependency: true, depConstraints },
];

export default tseslint.config(
  {
    ignores: [
      '**/node_modules/**',
      '.tsc/**',
      '.nx/**',
      '.isthmus/**',
      'docs/**',
      'services/console/public/**',
      'tools/boundary-fixture/**',
    ],
  },
  eslint.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    plugins: { '@nx': nx },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@nx/enforce-module-boundaries': boundaryRule(boundaries),
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': [
        'error',
        { checksVoidReturn: { arguments: false, attributes: false } },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-console': 'error',
      eqeqeq: ['error', 'always'],
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[object.name='process'][property.name='env']",
          message: 'Only config.ts and main.ts read the environment.',
        },
      ],
    },
  },
  {
    files: [
      '**/config.ts',
      '**/main.ts',
      'tools/**',
      '**/*.spec.ts',
      // What tests and foreign tools take from it, in one place.
      'libs/testing/src/environment.ts',
      'libs/embedded/**',
      'bench/**',
      // The size of libuv's thread pool can be told by the environment alone, before the first file is touched.
      'services/dimse-edge/src/runtime.ts',
    ],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    files: ['tools/**', 'deploy/local/src/**', 'bench/**', 'services/*/sim/main.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['**/*.spec.ts', '**/test/**/*.ts'],
    rules: {
      '@nx/enforce-module-boundaries': boundaryRule(specBoundaries),
      // node:test returns promises from describe/it that its runner awaits itself.
      '@typescript-eslint/no-floating-promises': 'off',
    },
  },
  { files: ['**/*.mjs'], ...tseslint.configs.disableTypeChecked },
);
