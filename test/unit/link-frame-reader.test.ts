import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader } from "../../subjects/common/link/frame-reader.ts";

const frameOf = (body: Buffer): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
};

test("frames come out as they went in, however the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 })),
      fc.array(fc.integer({ min: 1, max: 30 })),
      (bodies, cuts) => {
        const reader = new FrameReader();
        const out: Buffer[] = [];
        let stream = Buffer.concat(bodies.map((body) => frameOf(Buffer.from(body))));
        for (let turn = 0; stream.length > 0; turn++) {
          const size = cuts.length === 0 ? 7 : (cuts[turn % cuts.length] as number);
          reader.push(stream.subarray(0, size));
          stream = stream.subarray(size);
          for (let frame = reader.next(); frame !== null; frame = reader.next()) out.push(frame);
        }
        expect(out.map((frame) => [...frame])).toEqual(bodies.map((body) => [...body]));
      },
    ),
  );
});

test("an absurd length is refused before anything is kept for it", () => {
  const reader = new FrameReader();
  reader.push(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  expect(() => reader.next()).toThrow(RangeError);
});
