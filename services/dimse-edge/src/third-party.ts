import { element, isPrivateTag, tags, thirdPartyKeys, thirdPartyReturnKeys } from '@isthmus/dicom';
import type { DataElement, DataSetJson } from '@isthmus/dicom';

/** Keys that a third party gets with their values; what is not here is filtered by query-federator, on our side. */
const knownEverywhere: ReadonlySet<string> = new Set([
  tags.SpecificCharacterSet,
  tags.QueryRetrieveLevel,
  ...Object.values(thirdPartyKeys).flat(),
]);

const askedWithoutValue: ReadonlySet<string> = new Set(Object.values(thirdPartyReturnKeys).flat());

/**
 * An identifier as a third party gets it: never private elements, retired 0032 and 4008 ones, Issuer,
 * Timezone or Availability; values only for keys that every peer has to match.
 */
export function thirdPartyIdentifier(identifier: DataSetJson): DataSetJson {
  const sent: { [tag: string]: DataElement } = {};
  for (const [tag, key] of Object.entries(identifier)) {
    if (isPrivateTag(tag)) continue;
    if (knownEverywhere.has(tag)) sent[tag] = key;
    else if (askedWithoutValue.has(tag)) sent[tag] = element(key.vr);
  }
  return sent;
}
