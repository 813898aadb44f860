/**
 * Pixels of invented bodies: ellipses in the manner of Shepp and Logan, drawn so that slices differ and a person who
 * opens one recognises what it stands for. 16 bit little endian, 12 bits used, row by row.
 */
interface Ellipse {
  readonly x: number;
  readonly y: number;
  readonly a: number;
  readonly b: number;
  /** Degrees. */
  readonly tilt: number;
  readonly value: number;
}

/** Chest in Hounsfield units + 1024: body, lungs, spine, heart, a nodule in the middle slices. */
export function ctPixels(size: number, along: number): Buffer {
  const swell = 1 - 0.35 * Math.abs(along - 0.5);
  const ellipses: Ellipse[] = [
    { x: 0, y: 0, a: 0.88, b: 0.66, tilt: 0, value: 1064 },
    { x: -0.42, y: -0.02, a: 0.3 * swell, b: 0.44 * swell, tilt: 6, value: 174 },
    { x: 0.42, y: -0.02, a: 0.3 * swell, b: 0.44 * swell, tilt: -6, value: 174 },
    { x: 0, y: 0.46, a: 0.12, b: 0.13, tilt: 0, value: 1700 },
    { x: 0.1, y: -0.12, a: 0.2 * swell, b: 0.22 * swell, tilt: 30, value: 1100 },
  ];
  if (Math.abs(along - 0.5) < 0.2)
    ellipses.push({ x: -0.48, y: 0.1, a: 0.04, b: 0.04, tilt: 0, value: 1090 });
  return painted(size, 24, ellipses, 12);
}

/** Head: skull, brain, ventricles that open towards the middle slices. */
export function mrPixels(size: number, along: number): Buffer {
  const open = 1 - Math.abs(along - 0.5) * 1.4;
  return painted(
    size,
    0,
    [
      { x: 0, y: 0, a: 0.69, b: 0.86, tilt: 0, value: 1500 },
      { x: 0, y: 0, a: 0.64, b: 0.81, tilt: 0, value: 120 },
      { x: 0, y: 0, a: 0.6, b: 0.77, tilt: 0, value: 900 },
      { x: -0.16, y: -0.05, a: 0.09 * open, b: 0.3 * open, tilt: 14, value: 240 },
      { x: 0.16, y: -0.05, a: 0.09 * open, b: 0.3 * open, tilt: -14, value: 240 },
      { x: 0, y: 0.42, a: 0.2, b: 0.12, tilt: 0, value: 1150 },
    ],
    40,
  );
}

/** Chest radiograph: bright bones and heart, dark lungs, ribs. */
export function crPixels(size: number): Buffer {
  const ribs = Array.from({ length: 7 }, (_, rib): Ellipse[] =>
    [-0.42, 0.42].map((x) => ({
      x,
      y: -0.5 + rib * 0.15,
      a: 0.33,
      b: 0.018,
      tilt: x < 0 ? -14 : 14,
      value: 1750,
    })),
  ).flat();
  return painted(
    size,
    3300,
    [
      { x: 0, y: 0.1, a: 0.92, b: 0.98, tilt: 0, value: 2300 },
      { x: -0.42, y: 0, a: 0.34, b: 0.66, tilt: 4, value: 1250 },
      { x: 0.42, y: 0, a: 0.34, b: 0.66, tilt: -4, value: 1250 },
      ...ribs,
      { x: 0.12, y: 0.3, a: 0.3, b: 0.3, tilt: 25, value: 2600 },
      { x: 0, y: 0, a: 0.07, b: 1, tilt: 0, value: 2900 },
    ],
    60,
  );
}

/** Later ellipses lie on top of earlier ones; a little fixed noise makes it look measured. */
function painted(size: number, background: number, ellipses: readonly Ellipse[], noise: number): Buffer {
  const pixels = Buffer.alloc(size * size * 2);
  const shapes = ellipses.map((e) => ({
    ...e,
    cos: Math.cos((e.tilt * Math.PI) / 180),
    sin: Math.sin((e.tilt * Math.PI) / 180),
  }));
  let state = 0x2545f491;
  for (let row = 0; row < size; row++) {
    const y = (2 * row) / size - 1;
    for (let column = 0; column < size; column++) {
      const x = (2 * column) / size - 1;
      let value = background;
      for (const e of shapes) {
        const dx = x - e.x;
        const dy = y - e.y;
        const u = (dx * e.cos + dy * e.sin) / e.a;
        const v = (dy * e.cos - dx * e.sin) / e.b;
        if (u * u + v * v <= 1) value = e.value;
      }
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const speckle = ((state >>> 16) / 65536 - 0.5) * noise;
      pixels.writeUInt16LE(
        Math.max(0, Math.min(4095, Math.round(value + speckle))),
        (row * size + column) * 2,
      );
    }
  }
  return pixels;
}
