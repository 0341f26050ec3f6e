// The first page: one box, and where else to go.

import { useLocation } from "preact-iso";
import { useState } from "preact/hooks";
import { address } from "../model/address.ts";
import { type Key, KeyField, keyParameters } from "../components/search.tsx";
import { Heading } from "../components/basics.tsx";
import { useProfile } from "../session.tsx";
import { linksFor } from "../links.ts";

export function HomePage() {
  const { route } = useLocation();
  const profile = useProfile();
  const links = linksFor(profile).filter(({ path }) => path !== "/");
  const [key, setKey] = useState<Key>();
  const [isInvalid, setIsInvalid] = useState(false);
  const searches = links.find(({ path }) => path === "/audit");
  return (
    <>
      <Heading>Self-Service Interface</Heading>
      {searches && (
        <form
          class="search"
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            setIsInvalid(key === undefined);
            if (key) {
              route(address("/audit", keyParameters(key)));
            }
          }}
        >
          <KeyField label="Search the service audit trail by MPxN, Device GUID or UPRN" initial={undefined} isInvalid={isInvalid} onKey={setKey} />
          <button type="submit" class="primary">
            Search
          </button>
        </form>
      )}
      <ul class="cards">
        {links.map(({ path, name, what }) => (
          <li key={path}>
            <a href={path}>{name}</a>
            <p>{what}</p>
          </li>
        ))}
      </ul>
    </>
  );
}
