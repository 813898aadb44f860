import { globSync } from 'node:fs';
import { basename } from 'node:path';
import ts from 'typescript';
import { code, paragraph, sentence, table } from './markdown.ts';
import {
  aboutOf,
  bare,
  constant,
  nameText,
  objectMembers,
  root,
  sourceFile,
  unionOf,
  walk,
} from './source.ts';

/** Reads from the sources which errors there are: classes with a stable `code`, problems over HTTP, and refusals. */

interface ErrorCode {
  readonly code: string;
  readonly className: string;
  readonly place: string;
  readonly about: string;
  readonly remedy: string;
}

const byReason = 'As the error itself says: it depends on the cause.';

function productionFiles(pattern: string): readonly string[] {
  return globSync(pattern, { cwd: root, exclude: (path) => path.includes('node_modules') })
    .filter((file) => !file.endsWith('.spec.ts'))
    .sort();
}

const files = productionFiles('{libs,services,deploy}/**/src/**/*.ts').filter(
  (file) => !file.startsWith('libs/testing/'),
);

/** Every error class of the system with its codes, in order of place and name. */
export function errorCodes(): readonly ErrorCode[] {
  return files.flatMap((file) => {
    const classes: ts.ClassDeclaration[] = [];
    walk(sourceFile(file), (node) => {
      if (ts.isClassDeclaration(node) && isError(node)) classes.push(node);
    });
    return classes.flatMap((one) => codesOf(one, file));
  });
}

function isError(node: ts.ClassDeclaration): boolean {
  const base =
    node.heritageClauses?.flatMap(({ types }) => types.map((type) => type.expression.getText())) ?? [];
  return base.some((name) => name.endsWith('Error')) && node.name !== undefined;
}

function codesOf(node: ts.ClassDeclaration, file: string): readonly ErrorCode[] {
  const facts = { className: node.name?.text ?? '', place: placeOf(file), about: aboutOf(node) };
  const property = propertyOf(node, 'code');
  if (property?.initializer && ts.isStringLiteral(property.initializer)) {
    return [{ ...facts, code: property.initializer.text, remedy: remedyOf(node) }];
  }
  const type = property?.type?.getText() ?? '';
  if (/^[A-Z]\w+$/.test(type)) return codesOfUnion(facts, type, file);
  const call = superCall(node);
  const [first, , third] = call?.arguments ?? [];
  if (!first || !ts.isStringLiteral(first)) return [];
  return [{ ...facts, code: first.text, remedy: third ? literalText(third) : byReason }];
}

function codesOfUnion(
  facts: Omit<ErrorCode, 'code' | 'remedy'>,
  type: string,
  file: string,
): readonly ErrorCode[] {
  const remedies = new Map(remediesIn(file));
  return unionOf(file, type).map((one, index) => {
    const remedy = remedies.get(one) ?? thrownRemedy(facts.className, one) ?? byReason;
    return { ...facts, about: index === 0 ? facts.about : 'As above.', code: one, remedy };
  });
}

/** `const remedies = { code: 'text' }` beside the class. */
function remediesIn(file: string): readonly (readonly [string, string])[] {
  try {
    return objectMembers(file, 'remedies').map(({ name, text }) => [name, unquoted(text)]);
  } catch {
    return [];
  }
}

/** The remedy where such an error is made: `new Name('code', message, remedy)`. */
function thrownRemedy(className: string, wanted: string): string | undefined {
  let found: string | undefined;
  for (const file of files) {
    walk(sourceFile(file), (node) => {
      if (!ts.isNewExpression(node) || node.expression.getText() !== className) return;
      const [first, , third] = node.arguments ?? [];
      if (!first || !ts.isStringLiteral(first) || first.text !== wanted || !third) return;
      const text = literalText(third);
      if (text !== byReason) found ??= text;
    });
  }
  return found;
}

function remedyOf(node: ts.ClassDeclaration): string {
  const property = propertyOf(node, 'remedy');
  return property?.initializer ? literalText(property.initializer) : byReason;
}

function propertyOf(node: ts.ClassDeclaration, name: string): ts.PropertyDeclaration | undefined {
  return node.members.filter(ts.isPropertyDeclaration).find((one) => nameText(one.name) === name);
}

function superCall(node: ts.ClassDeclaration): ts.CallExpression | undefined {
  let call: ts.CallExpression | undefined;
  walk(node, (one) => {
    if (ts.isCallExpression(one) && one.expression.kind === ts.SyntaxKind.SuperKeyword) call ??= one;
  });
  return call;
}

/** Text of a literal; what is filled in shows as `…`. */
function literalText(value: ts.Expression): string {
  const literal = bare(value);
  if (ts.isStringLiteral(literal) || ts.isNoSubstitutionTemplateLiteral(literal)) return literal.text;
  if (ts.isTemplateExpression(literal)) {
    return literal.head.text + literal.templateSpans.map((span) => `…${span.literal.text}`).join('');
  }
  return byReason;
}

function unquoted(text: string): string {
  return text.replace(/^(['"`])(.*)\1$/s, '$2');
}

function placeOf(file: string): string {
  const [kind, name] = file.split('/');
  return kind === 'deploy' ? 'npm start' : (name ?? '');
}

interface ProblemCode {
  readonly code: string;
  readonly status: string;
  readonly place: string;
  readonly detail: string;
}

/** `code` members in problems that routes throw, with the status beside them. */
export function problemCodes(): readonly ProblemCode[] {
  return files.flatMap((file) => {
    const found: ProblemCode[] = [];
    walk(sourceFile(file), (node) => {
      if (!ts.isNewExpression(node) && !ts.isCallExpression(node)) return;
      const problem = problemIn(node, file);
      if (problem) found.push({ ...problem, place: placeOf(file) });
    });
    return found;
  });
}

/**
 * `new Problem(status, …, { code, detail })`, `unprocessable(pointer, detail, { code })`, or in the rules of
 * configuration `wrong(pointer, code, detail)`.
 */
function problemIn(
  node: ts.NewExpression | ts.CallExpression,
  file: string,
): Omit<ProblemCode, 'place'> | undefined {
  const name = node.expression.getText();
  const args = node.arguments ?? [];
  const [first, second] = args;
  if ((name === 'wrong' || name === 'against') && basename(file) === 'rules.ts' && second && args[2]) {
    const status = name === 'wrong' ? '422' : '409';
    return { code: literalText(second), status, detail: textOf(args[2], node) };
  }
  if (name !== 'Problem' && name !== 'unprocessable') return undefined;
  const facts = [...args].find(ts.isObjectLiteralExpression);
  const codeText = facts && memberText(facts, 'code', node);
  if (!facts || codeText === undefined || codeText === byReason) return undefined;
  const status = name === 'Problem' ? (first?.getText() ?? '') : '422';
  const detail = name === 'Problem' ? memberText(facts, 'detail', node) : second && textOf(second, node);
  return { code: codeText, status, detail: detail ?? '' };
}

function memberText(facts: ts.ObjectLiteralExpression, name: string, at: ts.Node): string | undefined {
  for (const one of facts.properties) {
    if (ts.isPropertyAssignment(one) && nameText(one.name) === name) return textOf(one.initializer, at);
    if (ts.isShorthandPropertyAssignment(one) && one.name.text === name) return textOf(one.name, at);
  }
  return undefined;
}

/** Text of a literal, or of the constant of that name that is nearest around the place. */
function textOf(value: ts.Expression, at: ts.Node): string {
  if (!ts.isIdentifier(value)) return literalText(value);
  for (let scope: ts.Node | undefined = at; scope; scope = scope.parent) {
    if (!ts.isBlock(scope) && !ts.isSourceFile(scope)) continue;
    for (const statement of scope.statements) {
      if (!ts.isVariableStatement(statement)) continue;
      const declared = statement.declarationList.declarations.find(
        (one) => one.name.getText() === value.text,
      );
      if (declared?.initializer) return literalText(declared.initializer);
    }
  }
  return byReason;
}

/** Where the sentence is made at run time. */
const problemMeanings: { readonly [code: string]: string } = {
  STALE: 'Somebody changed it first: read it again and decide anew.',
};

const refusals: { readonly [code: string]: readonly [status: string, meaning: string] } = {
  STUDY_UNKNOWN: ['404', 'The study is not known here, or it is not yet known whose it is.'],
  STATUS_WOULD_GO_BACK: ['409', 'A lower report status than the present one, without `"reopen": true`.'],
  VALUE_CHANGED: ['409', 'The value has changed since it was looked at; `errors` names the place.'],
  NOT_HOME: ['409', 'Another cluster is the home of the study and decides this; the detail names it.'],
  VALUE_INVALID: ['422', 'A value that its element cannot hold; `errors` names the place.'],
};

function refusalRows(): readonly (readonly string[])[] {
  return unionOf('libs/domain/src/commands.ts', 'RefusalCode').map((one) => {
    const [status, meaning] = refusals[one] ?? [];
    if (status === undefined || meaning === undefined) throw new Error(`say what the refusal ${one} means`);
    return [status, code(one), 'update-relay', meaning];
  });
}

function uniqueRows(rows: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return [...new Map(rows.map((row) => [row.slice(0, 3).join(' '), row])).values()];
}

/** Reasons of a rejected association, as libs/dimse tells them. */
function rejectionTable(): string {
  const value = constant('libs/dimse/src/errors.ts', 'rejections');
  if (!ts.isObjectLiteralExpression(value)) throw new Error('rejections is no object');
  const rows = value.properties.filter(ts.isPropertyAssignment).map((one) => {
    const pair = ts.isArrayLiteralExpression(one.initializer) ? one.initializer.elements : [];
    const [source, reason] = nameText(one.name).split('/');
    return [source ?? '', reason ?? '', ...pair.map((text) => literalText(text))];
  });
  return table(['Source', 'Reason', 'Meaning', 'Remedy'], rows);
}

/** `docs/reference/errors.md` */
export function errorsPage(): string {
  const classes = errorCodes().map((one) => [
    code(one.code),
    one.place,
    code(one.className),
    one.about,
    sentence(one.remedy),
  ]);
  const problems = problemCodes().map((one) => {
    const meaning = problemMeanings[one.code] ?? one.detail;
    return [one.status, code(one.code), one.place, sentence(meaning)];
  });
  return [
    '# Errors',
    '',
    paragraph(
      'Generated from the code: `npm run reference`. Codes are stable: alerts and programs',
      'can hang on them. Messages are for',
      'people and carry no patient data.',
    ),
    '',
    '## Operating errors',
    '',
    paragraph(
      'Classes with a `code`, facts and a `remedy`; in the log as `err.code`. The meaning',
      'says what state such an error leaves',
      'behind.',
    ),
    '',
    table(['Code', 'In', 'Class', 'Meaning', 'Remedy'], classes),
    '',
    '## Answers over HTTP',
    '',
    paragraph(
      'Failures are problem details (RFC 9457): `title`, `status`, `detail`, `requestId`;',
      '`code` where a program may want to',
      'react; `errors` with JSON pointers where a body is wrong. Besides these: 400 path,',
      'query or syntax, 404, 413, 415, 422',
      'body, 500, 502 and 504 (the service behind the console), 503 (database or event log is away; `retry-after`).',
    ),
    '',
    table(['Status', 'Code', 'In', 'Meaning'], uniqueRows([...refusalRows(), ...problems])),
    '',
    '## Rejected associations',
    '',
    'What `DIMSE_ASSOCIATION_REJECTED` says by source and reason of the A-ASSOCIATE-RJ (PS3.8 9.3.4).',
    '',
    rejectionTable(),
    '',
  ].join('\n');
}
