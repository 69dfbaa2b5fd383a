/** A node of the inspector's call tree; children by id. */
export interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string };
  readonly children?: readonly number[] | undefined;
}

const WIDTH = 1200;
const ROW = 16;
const LEAST_WIDTH = 0.3;

/** Boxes as wide as the share of samples below them, callers under callees. Functions' names only, no paths. */
export function flameGraph(nodes: readonly ProfileNode[], samples: readonly number[]): string {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const own = new Map<number, number>();
  for (const id of samples) own.set(id, (own.get(id) ?? 0) + 1);
  const total = new Map<number, number>();
  const sum = (node: ProfileNode): number => {
    const below = (node.children ?? []).map((id) => byId.get(id)).filter((child) => child !== undefined);
    const count = below.reduce((all, child) => all + sum(child), own.get(node.id) ?? 0);
    total.set(node.id, count);
    return count;
  };
  const [root] = nodes;
  const all = root === undefined ? 0 : sum(root);
  const boxes: string[] = [];
  let deepest = 0;
  const draw = (node: ProfileNode, left: number, depth: number): void => {
    const count = total.get(node.id) ?? 0;
    const width = (count / Math.max(1, all)) * WIDTH;
    if (width < LEAST_WIDTH) return;
    deepest = Math.max(deepest, depth);
    boxes.push(box(node.callFrame.functionName || "(anonymous)", { left, depth, width, count, all }));
    let at = left;
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child === undefined) continue;
      draw(child, at, depth + 1);
      at += ((total.get(id) ?? 0) / Math.max(1, all)) * WIDTH;
    }
  };
  if (root !== undefined) draw(root, 0, 0);
  const height = (deepest + 1) * ROW;
  return `<?xml version="1.0" standalone="no"?>\n<svg version="1.1" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" xmlns="http://www.w3.org/2000/svg">\n<style>text { font-family: monospace; font-size: 12px }</style>\n${boxes.join("\n")}\n</svg>\n`;
}

function box(
  name: string,
  at: {
    readonly left: number;
    readonly depth: number;
    readonly width: number;
    readonly count: number;
    readonly all: number;
  },
): string {
  const text = name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const share = ((at.count / at.all) * 100).toFixed(2);
  const shown = at.width > 40 ? text.slice(0, Math.floor(at.width / 8)) : "";
  const y = at.depth * ROW;
  return `<g><title>${text} (${at.count} samples, ${share}%)</title><rect x="${at.left.toFixed(1)}" y="${y}" width="${at.width.toFixed(1)}" height="${ROW - 1}" fill="rgb(240,${120 + ((at.depth * 17) % 100)},60)"/><text x="${(at.left + 3).toFixed(1)}" y="${y + 12}">${shown}</text></g>`;
}
