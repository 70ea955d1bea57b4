// Whoever came by a link on another site is asked to sign in although the browser has its cookie,
// which it does not send along then. This page's own request carries it.
const answer = await fetch(location.href, { method: "HEAD", redirect: "manual", cache: "no-store" }).catch(() => null);
if (answer?.type === "opaqueredirect") location.replace(location.href);
