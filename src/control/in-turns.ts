// Tasks of which only so many are under way at a time. Called where workers start.

/**
 * Begins each as soon as one before it is over, in their order; none any more after one that failed.
 * @param most how many are under way at most, at least 1.
 * @throws what the first that failed threw, when none is under way any more.
 */
export async function inTurns(
  tasks: readonly (() => Promise<void>)[],
  most: number,
): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | null = null;
  const turn = async (): Promise<void> => {
    while (next < tasks.length && failure === null) {
      try {
        await tasks[next++]!();
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: most }, turn));
  if (failure !== null) throw (failure as { error: unknown }).error;
}
