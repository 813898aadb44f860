/** The parts of an OpenAPI 3.1 document that the console looks at. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly paths?: { readonly [path: string]: PathItem };
  readonly components?: { readonly [section: string]: { readonly [name: string]: unknown } };
  readonly tags?: readonly object[];
}
type PathItem = { readonly [method: string]: unknown };

interface Operation {
  readonly operationId?: string;
}

export const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;

/** Whether the console offers a path of a service; health, metrics and documents of services stay inside. */
export function isPublicPath(path: string): boolean {
  return path.startsWith('/api/') || path.startsWith('/dicom-web/') || path === '/dicom-web';
}

/**
 * One document of many: each operation is tagged with its service, every operation id is unique, and
 * components carry their service's name, so that two schemas of one name never meet.
 */
export function mergeOpenApi(
  info: OpenApiDocument['info'],
  parts: readonly { readonly service: string; readonly document: OpenApiDocument }[],
): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {};
  const components: Record<string, Record<string, unknown>> = {};
  const operationIds = new Set<string>();
  const tags: object[] = [];
  for (const { service, document } of parts) {
    tags.push({ name: service, description: document.info.description ?? '' });
    for (const [section, entries] of Object.entries(document.components ?? {})) {
      for (const [name, component] of Object.entries(entries)) {
        (components[section] ??= {})[`${service}.${name}`] = withOwnReferences(component, service);
      }
    }
    for (const [path, item] of Object.entries(document.paths ?? {})) {
      if (!isPublicPath(path)) continue;
      const merged = (paths[path] ??= {});
      for (const [key, value] of Object.entries(item)) {
        if (key in merged) continue;
        const own = withOwnReferences(value, service);
        merged[key] = isMethod(key) ? asOperation(own as Operation, service, key, path, operationIds) : own;
      }
    }
  }
  return { openapi: '3.1.0', info, tags, paths, components };
}

function asOperation(
  operation: Operation,
  service: string,
  method: string,
  path: string,
  taken: Set<string>,
): object {
  const wanted = operation.operationId ?? nameOf(method, path);
  const operationId = taken.has(wanted) ? `${service}.${wanted}` : wanted;
  taken.add(operationId);
  return { ...operation, operationId, tags: [service] };
}

/** `put /api/v1/studies/{uid}/report-status` → `putStudiesUidReportStatus` */
function nameOf(method: string, path: string): string {
  const words = path.replace(/^\/api\/v\d+/, '').match(/[A-Za-z0-9]+/g) ?? [];
  return method + words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
}

function isMethod(key: string): boolean {
  return (methods as readonly string[]).includes(key);
}

/** A copy in which `#/components/<section>/<name>` points to the service's own entry. */
function withOwnReferences(value: unknown, service: string): unknown {
  if (Array.isArray(value)) return value.map((one) => withOwnReferences(one, service));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => {
      if (key === '$ref' && typeof one === 'string') {
        return [key, one.replace(/^(#\/components\/[^/]+\/)/, `$1${service}.`)];
      }
      return [key, withOwnReferences(one, service)];
    }),
  );
}
