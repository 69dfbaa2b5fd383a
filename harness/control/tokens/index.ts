export { fileTokens } from "./file-tokens.ts";
export { fingerprintOf } from "./fingerprint.ts";
export { checkToken, newToken } from "./new-token.ts";
export { openTokens, tokenProvider } from "./open-tokens.ts";
export { DEFAULT_GRACE_MS, rotateToken } from "./rotate-token.ts";
export { openTokenCache, type TokenCacheOptions } from "./token-cache.ts";
export {
  TokenError,
  type Predecessor,
  type RotateOptions,
  type StoredToken,
  type TokenCache,
  type TokenEntry,
  type TokenFailure,
  type TokenProvider,
  type TokenRecord,
  type TokenState,
} from "./types.ts";
export { vaultTokens, type VaultTokensOptions } from "./vault/vault-tokens.ts";
