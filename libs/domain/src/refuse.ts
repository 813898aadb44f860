import type { Refusal, RefusalCode } from './commands.ts';

/** A refusal as `decide` answers it. */
export function refuse(code: RefusalCode, detail: string, pointer?: string): { readonly refused: Refusal } {
  return { refused: { code, detail, ...(pointer === undefined ? {} : { pointer }) } };
}
