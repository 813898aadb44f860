import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

interface LintMessage {
  readonly ruleId: string | null;
  readonly line: number;
}

/** Lints with the project's own configuration, ignores set aside. */
function lint(path: string): Promise<readonly LintMessage[]> {
  return new Promise((resolve, reject) => {
    const args = ['node_modules/eslint/bin/eslint.js', '--no-ignore', '--format', 'json', path];
    execFile(process.execPath, args, { cwd: root, maxBuffer: 1 << 26 }, (error, stdout) => {
      if (stdout === '') return reject(error ?? new Error('eslint printed nothing'));
      resolve((JSON.parse(stdout) as { messages: LintMessage[] }[]).flatMap((file) => file.messages));
    });
  });
}

describe('the import rules', () => {
  it('refuse a core library that imports a kit, and allow it to import another core library', async () => {
    const messages = await lint('tools/boundary-fixture/src/core-imports-kit.ts');
    assert.deepEqual(
      messages.map(({ ruleId, line }) => [ruleId, line]),
      [['@nx/enforce-module-boundaries', 3]],
    );
  });
});
