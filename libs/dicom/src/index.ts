export { isAeTitle } from './ae-title.ts';
export { compareContent } from './compare-content.ts';
export type { CompareOptions, ContentDifferences, ContentSource } from './compare-content.ts';
export {
  binaryElement,
  binaryOf,
  bytesOfElement,
  element,
  itemsOf,
  numberOf,
  personName,
  personNameText,
  stringOf,
  stringsOf,
  withElement,
  withoutElements,
} from './data-set-json.ts';
export type { DataElement, DataSetJson, PersonName } from './data-set-json.ts';
export { decodeDataSet } from './decode.ts';
export type { DecodeOptions } from './decode.ts';
export { groupOfCreator, isPrivateCreatorTag, isPrivateTag, vrOf } from './dictionary.ts';
export { encodeDataSet } from './encode.ts';
export { DataSetError } from './errors.ts';
export type { DataSetErrorCode, DataSetErrorFacts } from './errors.ts';
export { fileMetaInformation, implementationVersionName, readFileMeta } from './file-meta.ts';
export type { FileMeta } from './file-meta.ts';
export { HeaderWalker } from './header-walker.ts';
export type { HeaderWalkerOptions } from './header-walker.ts';
export { keysNotAnswered, matchesIdentifier, matchesKey, uidsOf } from './matching.ts';
export type { MatchingOptions } from './matching.ts';
export {
  creatorOf,
  findPrivate,
  linkElements,
  privateBlock,
  privateCreator,
  privateTag,
  readPrivate,
  studyElements,
} from './private-elements.ts';
export { dimseStatus, isFailure, isPending, isWarning } from './status.ts';
export { isImageSopClass, storageSopClasses } from './storage-sop-classes.ts';
export { tags } from './tags.ts';
export type { Keyword } from './tags.ts';
export { thirdPartyKeys, thirdPartyReturnKeys } from './third-party-keys.ts';
export { canTranscode, transcodeDataSet } from './transcode.ts';
export { transferSyntaxes, transferSyntaxOf } from './transfer-syntaxes.ts';
export type { TransferSyntax } from './transfer-syntaxes.ts';
export { isUid, uidPattern, uids } from './uids.ts';
export { hasWildcard, matchesWildcard } from './wildcard.ts';
