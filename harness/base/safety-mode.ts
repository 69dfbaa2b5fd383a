/** `observe`: no call that writes is carried out. `propose`: each waits for a person. `execute`: nobody is asked. */
export const SAFETY_MODES = ["observe", "propose", "execute"] as const;
export type SafetyMode = (typeof SAFETY_MODES)[number];
