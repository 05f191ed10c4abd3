// Stands where mosaic-core imports DuckDB for the browser. Larder asks its server; there is no database in the page.
class Absent {
  constructor() {
    throw new Error('This page has no database of its own.');
  }
}
const absent = () => new Absent();

export {Absent as AsyncDuckDB, Absent as ConsoleLogger, Absent as VoidLogger, absent as getJsDelivrBundles, absent as selectBundle};
