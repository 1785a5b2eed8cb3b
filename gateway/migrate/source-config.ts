import type { KindTarget } from "../../bridge/config.ts";
import { shownUrl } from "../../devices/protocol/shown-url.ts";
import { readStreamUrl } from "../config/service-urls.ts";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { streamKind, streamKinds } from "../streams/stream-kinds.ts";
import { defaultWindow, windowKind } from "../windows/window-kinds.ts";

/** URLs that `--from` accepts: `embedded: or redis://` */
export const sourceUrls = streamKinds
  .filter(({ loadSource }) => loadSource)
  .map(({ urlForm }) => /^[a-z0-9+.-]+:(\/\/)?/.exec(urlForm)?.[0])
  .join(" or ");

/**
 * The configuration of gateways on the stream at `url`, which move to the stream of `to`. Ids are looked up
 * in the files, so the old window is not needed. A server that `to` also names has the same login by default.
 * @param password Password of the server at `url`, if the URL does not hold it.
 * @throws GatewayError USAGE_INVALID
 */
export function sourceConfig(to: GatewayConfig, url: string, password?: string): GatewayConfig {
  const reading = readStreamUrl(url);
  if (!("target" in reading))
    throw usageError(`--from ${shownUrl(url)}: give ${reading.expected}; ${reading.mend}.`);
  const stream = withLogin(withPassword(reading.target, password), to);
  const kind = streamKind(stream);
  const goesTo = to.backends.stream;
  const target = streamKind(goesTo);
  if (target.placeOf(goesTo) === null)
    throw usageError(
      "--stream must name the stream to move to, which gateways can share: for example --stream redis://127.0.0.1:6379/0.",
    );
  if (!kind.loadSource)
    throw usageError(`--from accepts ${sourceUrls}: ${kind.label} can't be migrated yet.`);
  if (kind === target && kind.placeOf(stream) === kind.placeOf(goesTo))
    throw usageError("--from and --stream name the same stream.");
  const backends = { stream, window: defaultWindow.target };
  return { ...to, stream: { ...to.stream, url }, backends };
}

function withPassword(stream: KindTarget, password: string | undefined): KindTarget {
  if (password === undefined) return stream;
  const { login } = streamKind(stream);
  if (!login) {
    const owners = streamKinds.filter((kind) => kind.login).map(({ label }) => `a ${label}`);
    throw usageError(`--from-password-file is for ${owners.join(" or ")}, which --from does not name.`);
  }
  const inUrl = login.of(stream);
  if (inUrl.password !== undefined)
    throw usageError("--from and --from-password-file: give the password once.");
  return login.with(stream, { ...inUrl, password });
}

function withLogin(stream: KindTarget, { backends }: GatewayConfig): KindTarget {
  const { login } = streamKind(stream);
  if (!login || login.of(stream).password !== undefined) return stream;
  const others = [
    { target: backends.stream, login: streamKind(backends.stream).login },
    { target: backends.window, login: windowKind(backends.window).login },
  ];
  for (const { target, login: other } of others)
    if (other?.serverOf(target) === login.serverOf(stream)) return login.with(stream, other.of(target));
  return stream;
}

function usageError(text: string): GatewayError {
  return new GatewayError("USAGE_INVALID", text, { retryable: false });
}
