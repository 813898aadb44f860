import { isPublicPath, methods } from './openapi.ts';
import type { OpenApiDocument } from './openapi.ts';

export type RouteAnswer =
  | { readonly service: string }
  /** The path is known, the method is not. */
  | { readonly allowed: readonly string[] };

export interface RouteTable {
  /** @param path - As it stands in the request, percent-encoded, without query. */
  find(method: string, path: string): RouteAnswer | undefined;
  /** `METHOD path` that several services offer; the first has it. */
  readonly conflicts: readonly string[];
}

interface Route {
  readonly template: string;
  readonly pattern: RegExp;
  readonly services: Map<string, string>;
}

/**
 * Which service answers what, from their OpenAPI documents. A literal path goes before one with parameters.
 */
export function routeTable(
  parts: readonly { readonly service: string; readonly document: OpenApiDocument }[],
): RouteTable {
  const routes = new Map<string, Route>();
  const conflicts: string[] = [];
  for (const { service, document } of parts) {
    for (const [template, item] of Object.entries(document.paths ?? {})) {
      if (!isPublicPath(template)) continue;
      const shape = template.replace(/\{[^}]+\}/g, '{}');
      const route = routes.get(shape) ?? { template, pattern: patternOf(template), services: new Map() };
      routes.set(shape, route);
      for (const method of methods) {
        if (!(method in item)) continue;
        const key = method.toUpperCase();
        if (route.services.has(key)) conflicts.push(`${key} ${template}`);
        else route.services.set(key, service);
      }
    }
  }
  const ordered = [...routes.values()].sort((a, b) => literalLength(b.template) - literalLength(a.template));
  return { conflicts, find: (method, path) => find(ordered, method, path) };
}

function find(routes: readonly Route[], method: string, path: string): RouteAnswer | undefined {
  const asked = method === 'HEAD' ? 'GET' : method;
  const allowed = new Set<string>();
  for (const route of routes) {
    if (!route.pattern.test(path)) continue;
    const service = route.services.get(method) ?? route.services.get(asked);
    if (service !== undefined) return { service };
    for (const other of route.services.keys()) allowed.add(other);
  }
  return allowed.size > 0 ? { allowed: [...allowed].sort() } : undefined;
}

/** A parameter is one segment, or the part of one before a verb: `{uid}:retrieve`. */
function patternOf(template: string): RegExp {
  const parts = template.split(/\{[^}]+\}/).map((literal) => literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^/]+')}$`);
}

function literalLength(template: string): number {
  return template.replace(/\{[^}]+\}/g, '').length;
}
