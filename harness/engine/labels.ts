/**
 * Our labels on containers, networks, volumes and images. Opaque words: whoever may read labels must not learn from
 * them what the lab is doing. No tool shows them.
 */
export const INSTANCE_LABEL = "io.operator.instance";

/** `support` = ours (workload, agent, panel): does not exist for the operator's engine. */
export const PART_LABEL = "io.operator.part";
export const SUPPORT_PART = "support";

/** On images: `imitation` = our own stand-in for a server. Read on the host only. */
export const BUILD_LABEL = "io.operator.build";
export const IMITATION_BUILD = "imitation";

/** On images: digest of everything that they were built from. */
export const SOURCE_LABEL = "io.operator.source";

/** Written by compose, v1 and v2 alike; the only thing by which containers are found. */
export const COMPOSE_PROJECT = "com.docker.compose.project";
export const COMPOSE_SERVICE = "com.docker.compose.service";
export const COMPOSE_ONEOFF = "com.docker.compose.oneoff";
