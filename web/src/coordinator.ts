// Mosaic's coordinator, set up for a cache that lives in the server: what differs, and why.
//
// - No cache in the page. Larder's is shared by everybody and says how old an answer is; one in the page would answer a refresh with what
//   it is meant to replace, and leave the badges telling about an answer that is not shown.
// - No consolidation: each panel's question is its own, so each panel's badge tells about its own answer.
// - No pre-aggregation: it creates tables in the server, and Larder only answers questions.
// - A question may be refreshed (`max_age` 0), and a superseded one ends in silence, since its asker is already waiting for the next.
import {Coordinator, QueryError, coordinator as set_coordinator} from '@uwdata/mosaic-core';
import type {MosaicClient, QueryType, Selection} from '@uwdata/mosaic-core';
import {LarderConnector, Superseded} from './connector.js';
import type {Asker} from './connector.js';

export class LarderCoordinator extends Coordinator {
  private readonly wants_fresh = new WeakSet<MosaicClient>();

  constructor(readonly larder: LarderConnector) {
    super(larder, {cache: false, consolidate: false, preagg: {enabled: false}, logger: null});
  }

  /** Asks again for `client`, and takes no kept answer. */
  refresh(client: MosaicClient): void {
    this.wants_fresh.add(client);
    client.requestQuery();
  }

  /** When `selection` has moved on from what is being asked, stops waiting for the answers to what it was. */
  catch_up(selection: Selection): void {
    // Selection publishes one value at a time and keeps the newest for later; _resolved is that newest one.
    if (selection._resolved !== selection.clauses) {
      for (const client of this.filterGroups.get(selection)?.clients ?? []) this.larder.take_back(client as Asker);
    }
  }

  /** Nobody will use `selection` any more. */
  forget(selection: Selection): void {
    this.filterGroups.get(selection)?.disconnect();
    this.filterGroups.delete(selection);
  }

  override updateClient(client: MosaicClient, query: QueryType, priority?: number): Promise<unknown> {
    client.queryPending();
    const max_age = this.wants_fresh.delete(client) ? 0 : undefined;
    client._pending = this.query(query, {priority, cache: false, asker: client, max_age}).then(
      (data) => client.queryResult(data).update(),
      (reason: unknown) => {
        if (reason instanceof Superseded) return;
        client.queryError(new QueryError(reason, query));
      },
    );
    return client._pending;
  }
}

/** The one coordinator of this page; vgplot's charts find it too. */
export const coordinator = new LarderCoordinator(new LarderConnector());
set_coordinator(coordinator);
