import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { NodeLog } from "../node-log.ts";
import type { ConfigController } from "./config/controller.ts";
import type { PdSession } from "./pd-session.ts";
import type { RegionPeer } from "./region-peer.ts";
import { fromRegionMessage } from "./region.ts";
import type { Store } from "./store.ts";

export interface StalePeersOptions {
  readonly session: PdSession;
  readonly store: Store;
  readonly config: ConfigController;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly timeFactor: number;
}

/**
 * Looks after replicas that have no leader: says so after `raftstore.abnormal-leader-missing-duration`, and after
 * `max-leader-missing-duration` asks PD whether they are still members (tikv/tikv:components/raftstore/src/store/fsm/
 * peer.rs, `on_check_peer_stale_state_tick`; worker/pd.rs, `handle_validate_peer`).
 */
export class StalePeers {
  readonly #options: StalePeersOptions;

  constructor(options: StalePeersOptions) {
    this.#options = options;
  }

  /** Until the signal. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, config, store, log } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(this.#duration("peer-stale-state-check-interval"), signal).catch(() => {});
      for (const peer of [...store.peers]) {
        const since = peer.leaderlessSinceMs;
        if (signal.aborted || since === null) continue;
        const missingMs = clock.monotonic() - since;
        const fields = { region_id: peer.id, peer_id: peer.peerId, expect: config.text(ABNORMAL) };
        if (missingMs >= this.#duration("max-leader-missing-duration")) await this.#validate(peer, signal);
        else if (missingMs >= this.#duration("abnormal-leader-missing-duration")) {
          log.warn("peer.rs:5580", "leader missing longer than abnormal_leader_missing_duration", fields);
          store.askWhetherMember(peer);
        }
      }
    }
  }

  #duration(name: string): number {
    return this.#options.config.duration(`raftstore.${name}`) * this.#options.timeFactor;
  }

  async #validate(peer: RegionPeer, signal: AbortSignal): Promise<void> {
    const { session, store, log, config } = this.#options;
    const fields = { region_id: peer.id, peer_id: peer.peerId };
    log.warn("peer.rs:5560", "leader missing longer than max_leader_missing_duration. To check with pd", {
      ...fields,
      expect: config.text("raftstore.max-leader-missing-duration"),
    });
    try {
      const { region } = await session.call("GetRegionByID", { region_id: String(peer.id) }, signal);
      if (region === null) return;
      const known = fromRegionMessage(region);
      const confVer = peer.region?.epoch.confVer ?? 0;
      if (known.epoch.confVer <= confVer || known.peers.some(({ id }) => id === peer.peerId)) return;
      log.info("pd.rs:1530", "peer is not a valid member of region, to be destroyed soon", fields);
      store.destroyStale(peer, known.epoch.confVer);
    } catch (error) {
      if (!signal.aborted) log.warn("pd.rs:1560", "get region failed", { ...fields, err: errorText(error) });
    }
  }
}

const ABNORMAL = "raftstore.abnormal-leader-missing-duration";
