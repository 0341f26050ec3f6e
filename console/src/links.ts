// Where one can go, and the functional component that each page is of: a person is shown what their Job Type Roles allow.

import type { ProfileResponse } from "./gen/gridtrail/query/v1/session_pb.ts";

export interface Link {
  path: string;
  name: string;
  what: string;
  /** As the specification names it; none: for all who are logged in. */
  component?: string;
}

export const LINKS: readonly Link[] = [
  { path: "/", name: "Home", what: "" },
  { path: "/audit", name: "Audit trails", what: "All service activity of your User IDs, row by row, with its history.", component: "Service audit trails" },
  { path: "/meter-reads", name: "Meter reads", what: "Meter read transactions of all Users.", component: "Meter read transactions" },
  { path: "/inventory", name: "Inventory", what: "Which Devices there are, where, and with which others they are Associated.", component: "Smart metering inventory" },
  {
    path: "/hub",
    name: "Hub status",
    what: "Availability and diagnostics of a Communications Hub.",
    component: "Communications Hub availability and diagnostics",
  },
  { path: "/reports", name: "Reports", what: "The standard reports, of what pertains to your User IDs.", component: "Reporting" },
  { path: "/freshness", name: "Freshness", what: "How fresh the answers are, by source and by day." },
  { path: "/calls", name: "Access log", what: "What you asked for, and when: your own calls." },
  { path: "/profile", name: "Profile", what: "Who you are here, whose rows you see, and what you may use." },
];

export function linksFor(profile: ProfileResponse): Link[] {
  return LINKS.filter(({ component }) => component === undefined || profile.functionalComponents.includes(component));
}
