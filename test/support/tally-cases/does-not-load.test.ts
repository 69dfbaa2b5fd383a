// See cases.test.ts.
throw new Error("not to be loaded");
