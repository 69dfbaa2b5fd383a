export { announceMode } from "./settings/announce-mode.ts";
export {
  readSettings,
  type ControlSettings,
  type ReadSettings,
  type SettingsInput,
  type ShownSetting,
  type VaultSettings,
} from "./settings/read-settings.ts";
export { CONTROL_VARIABLES } from "./settings/table.ts";
