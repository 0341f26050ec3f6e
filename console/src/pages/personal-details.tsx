// What a person enters about themselves: asked for at the first log-in (UC_Login_001), changed on the profile.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { sessions, type Trouble, troubleOf } from "../api.ts";
import { Facts, Heading, TroubleNote } from "../components/basics.tsx";
import type { PersonalDetails, ProfileResponse } from "../gen/gridtrail/query/v1/session_pb.ts";
import { type Entered, type Field, FIELDS, faultsOf } from "../model/personal-details.ts";
import { useProfile, useSession } from "../session.tsx";

/** Whether somebody is asked for their details before anything else. */
export const isAsked = (profile: ProfileResponse): boolean => profile.takesDetails && !profile.details;

/** In place of every page, as long as nothing is on record. */
export function FirstLogInPage() {
  return (
    <>
      <Heading>Your details</Heading>
      <p class="lead">This is your first log-in, or nothing is on record of you any more. The Self-Service Interface asks everybody for these once.</p>
      <Kept />
      <DetailsForm />
    </>
  );
}

/** As a part of the profile. */
export function YourDetails() {
  const { details, takesDetails } = useProfile();
  const [isChanging, setIsChanging] = useState(false);
  const change = useRef<HTMLButtonElement>(null);
  const wasChanging = useRef(false);
  useEffect(() => {
    if (wasChanging.current && !isChanging) {
      change.current?.focus();
    }
    wasChanging.current = isChanging;
  }, [isChanging]);
  if (!takesDetails || !details) {
    return null;
  }
  return (
    <section aria-labelledby="your-details">
      <h2 id="your-details">Your details</h2>
      {isChanging ? (
        <DetailsForm of={details} done={() => setIsChanging(false)} />
      ) : (
        <>
          <Facts of={FIELDS.map(({ field, label }) => [label, details[field]])} />
          <button type="button" ref={change} onClick={() => setIsChanging(true)}>
            Change your details
          </button>
        </>
      )}
      <Kept />
    </section>
  );
}

function Kept() {
  return (
    <p class="small">
      They are shown to you alone, on your profile, where you can change them. They are deleted once you have not logged in for 13 months, or when you ask whoever runs
      this service.
    </p>
  );
}

function DetailsForm({ of, done }: { of?: PersonalDetails; done?: () => void }) {
  const { entered: tell, ended } = useSession();
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const [entered, setEntered] = useState<Entered>({
    firstName: of?.firstName ?? "",
    lastName: of?.lastName ?? "",
    emailAddress: of?.emailAddress ?? "",
    telephoneNumber: of?.telephoneNumber ?? "",
  });
  const [faults, setFaults] = useState<Partial<Record<Field, string>>>({});
  const [trouble, setTrouble] = useState<Trouble>();
  const [isWaiting, setIsWaiting] = useState(false);
  const isChange = done !== undefined;
  useEffect(() => {
    if (isChange) {
      form.current?.querySelector("input")?.focus();
    }
  }, [isChange]);
  useEffect(() => {
    if (Object.keys(faults).length > 0) {
      form.current?.querySelector<HTMLInputElement>("[aria-invalid=true]")?.focus();
    }
  }, [faults]);
  const save = async () => {
    const found = faultsOf(entered);
    setFaults(found);
    setTrouble(undefined);
    if (Object.keys(found).length > 0) {
      return;
    }
    setIsWaiting(true);
    try {
      const { details } = await sessions.setDetails({ details: entered });
      tell(details);
      done?.();
    } catch (error) {
      const refused = troubleOf(error);
      setIsWaiting(false);
      setTrouble(refused);
      if (refused?.isLoggedOut) {
        ended();
      }
    }
  };
  return (
    <form
      ref={form}
      class="search"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      {FIELDS.map(({ field, label, type, autocomplete, hint }) => {
        const fault = faults[field];
        const described = [fault && `${id}-${field}-fault`, hint && `${id}-${field}-hint`].filter(Boolean).join(" ");
        return (
          <div class="field" key={field}>
            <label for={`${id}-${field}`}>{label}</label>
            <Input
              kind={type}
              id={`${id}-${field}`}
              autocomplete={autocomplete}
              required
              value={entered[field]}
              aria-invalid={fault ? "true" : undefined}
              aria-describedby={described || undefined}
              onInput={(event) => setEntered({ ...entered, [field]: event.currentTarget.value })}
            />
            {fault && (
              <div id={`${id}-${field}-fault`} class="wrong">
                {fault}
              </div>
            )}
            {hint && (
              <div id={`${id}-${field}-hint`} class="hint">
                {hint}
              </div>
            )}
          </div>
        );
      })}
      {trouble && <TroubleNote trouble={trouble} />}
      <button type="submit" class="primary" disabled={isWaiting}>
        {isWaiting ? "Saving …" : "Save"}
      </button>{" "}
      {done && (
        <button type="button" onClick={done}>
          Leave them as they were
        </button>
      )}
    </form>
  );
}

interface Shared {
  id: string;
  autocomplete: string;
  required: boolean;
  value: string;
  "aria-invalid": "true" | undefined;
  "aria-describedby": string | undefined;
  onInput: (event: { currentTarget: HTMLInputElement }) => void;
}

function Input({ kind, ...shared }: Shared & { kind: "text" | "email" | "tel" }) {
  switch (kind) {
    case "email":
      return <input type="email" {...shared} />;
    case "tel":
      return <input type="tel" {...shared} />;
    default:
      return <input type="text" {...shared} />;
  }
}
