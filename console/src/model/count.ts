/** A count as people write it: with a comma after each thousand. */
export const count = (of: bigint | number): string => of.toLocaleString("en-GB");
