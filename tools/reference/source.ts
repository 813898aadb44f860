import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/**
 * Reads what the reference pages tell from source text: names, values and the comments beside them. For what a package
 * does not export; what it does export is imported.
 */

/** Folder of the project, with a slash at the end. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** One member of an object, an interface or a union, with its comment. */
export interface Member {
  readonly name: string;
  /** Source text of the value, or of the type. */
  readonly text: string;
  /** First paragraphs of its comment, on one line; '' when there is none. */
  readonly about: string;
  readonly optional: boolean;
}

const parsed = new Map<string, ts.SourceFile>();

/** @param file - Path from the project's folder. @throws When the file is not there. */
export function sourceFile(file: string): ts.SourceFile {
  const present = parsed.get(file);
  if (present) return present;
  const text = readFileSync(root + file, 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  parsed.set(file, source);
  return source;
}

/** The comment before a declaration, without its tags, on one line. */
export function aboutOf(node: ts.Node): string {
  const [last] = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).slice(-1);
  const text = ts.getTextOfJSDocComment(last?.comment) ?? '';
  return text.replaceAll(/\s+/g, ' ').trim();
}

/** Members of `const name = { … }`. Spread members are left out. @throws When there is no such object. */
export function objectMembers(file: string, name: string): readonly Member[] {
  const value = constant(file, name);
  if (!ts.isObjectLiteralExpression(value)) throw missing(file, `object ${name}`);
  return value.properties.filter(ts.isPropertyAssignment).map((property) => ({
    name: nameText(property.name),
    text: property.initializer.getText(),
    about: aboutOf(property),
    optional: false,
  }));
}

/** Members of an interface. @throws When there is no such interface. */
export function interfaceMembers(file: string, name: string): readonly Member[] {
  const found = sourceFile(file).statements.find(
    (one) => ts.isInterfaceDeclaration(one) && one.name.text === name,
  );
  if (!found || !ts.isInterfaceDeclaration(found)) throw missing(file, `interface ${name}`);
  return found.members.filter(ts.isPropertySignature).map((member) => ({
    name: nameText(member.name),
    text: (member.type?.getText() ?? '').replaceAll(/\s+/g, ' '),
    about: aboutOf(member),
    optional: member.questionToken !== undefined,
  }));
}

/** Comment of an interface, a type, a class or a constant of a file. */
export function aboutDeclaration(file: string, name: string): string {
  const found = sourceFile(file).statements.find((one) => {
    if (ts.isVariableStatement(one))
      return one.declarationList.declarations.some((declared) => declared.name.getText() === name);
    const named = one as { readonly name?: ts.Node };
    return named.name?.getText() === name;
  });
  if (!found) throw missing(file, name);
  return aboutOf(found);
}

/** Texts of `type name = 'a' | 'b'`. @throws When it is no union of texts. */
export function unionOf(file: string, name: string): readonly string[] {
  const found = sourceFile(file).statements.find(
    (one) => ts.isTypeAliasDeclaration(one) && one.name.text === name,
  );
  const type = found && ts.isTypeAliasDeclaration(found) ? found.type : undefined;
  if (!type || !ts.isUnionTypeNode(type)) throw missing(file, `union ${name}`);
  return type.types.map((one) => {
    if (ts.isLiteralTypeNode(one) && ts.isStringLiteral(one.literal)) return one.literal.text;
    throw missing(file, `union ${name} of texts`);
  });
}

/** Source texts of the elements of `const name = [ … ]`, or of the array in `new Set([ … ])`, `new Map([ … ])`. */
export function listOf(file: string, name: string): readonly string[] {
  return arrayOf(constant(file, name), file, name).elements.map((one) => one.getText());
}

/** Pairs of `const name = new Map([[a, b], …])`, as source text. */
export function pairsOf(file: string, name: string): readonly (readonly [string, string])[] {
  return arrayOf(constant(file, name), file, name).elements.map((one) => {
    const pair = ts.isArrayLiteralExpression(one) ? one.elements : undefined;
    if (pair?.length !== 2) throw missing(file, `pairs in ${name}`);
    return [pair[0]!.getText(), pair[1]!.getText()];
  });
}

function arrayOf(value: ts.Expression, file: string, name: string): ts.ArrayLiteralExpression {
  const list = ts.isNewExpression(value) ? value.arguments?.[0] : value;
  if (!list || !ts.isArrayLiteralExpression(list)) throw missing(file, `list ${name}`);
  return list;
}

/** The value of an arithmetic constant such as `64 * 1024`. @throws On anything else. */
export function numberIn(text: string): number {
  const plain = text.replaceAll('_', '').trim();
  if (!/^\d+(\s*[*+]\s*\d+)*$/.test(plain)) throw new Error(`not a number: ${text}`);
  return plain
    .split('+')
    .map((product) => product.split('*').reduce((value, factor) => value * Number(factor), 1))
    .reduce((sum, one) => sum + one, 0);
}

/** Value of `const name = 123` in a file. */
export function numberOfConstant(file: string, name: string): number {
  return numberIn(constant(file, name).getText());
}

/** Initialiser of a constant at the top of a file, `as const` and `satisfies` taken off. */
export function constant(file: string, name: string): ts.Expression {
  for (const statement of sourceFile(file).statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name: declared, initializer } of statement.declarationList.declarations) {
      if (declared.getText() === name && initializer) return bare(initializer);
    }
  }
  throw missing(file, `constant ${name}`);
}

export function bare(value: ts.Expression): ts.Expression {
  return ts.isAsExpression(value) || ts.isSatisfiesExpression(value) || ts.isParenthesizedExpression(value)
    ? bare(value.expression)
    : value;
}

export function nameText(name: ts.PropertyName): string {
  return ts.isStringLiteral(name) || ts.isIdentifier(name) || ts.isNumericLiteral(name)
    ? name.text
    : name.getText();
}

/** Calls `visit` for a node and all below it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  node.forEachChild((child) => walk(child, visit));
}

function missing(file: string, what: string): Error {
  return new Error(`${file}: ${what} is not there, or not as tools/reference reads it`);
}
