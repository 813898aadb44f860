/** Folder of real DICOM files (`DICOM_SAMPLES`), or undefined: the suite passes without. */
export function samplesFolder(): string | undefined {
  return process.env['DICOM_SAMPLES'];
}
