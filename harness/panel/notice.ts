/** What people are told at the top of the page about a cluster that is none; the operator never is. */
export function standInNotice({
  standIn,
  title,
}: {
  readonly standIn: boolean;
  readonly title: string;
}): string | null {
  return standIn ? `This cluster is a ${title}: what happens here says nothing about the real one.` : null;
}
