// Who somebody is here: UC_Profile_001.

import { COMPONENTS } from "../gen/lists.ts";
import { useProfile } from "../session.tsx";
import { YourDetails } from "./personal-details.tsx";
import { Copied, Facts, Heading, Table, Time } from "../components/basics.tsx";

export function ProfilePage() {
  const { party, userIds, jobTypeRoles, functionalComponents, expiresAt } = useProfile();
  return (
    <>
      <Heading>Your profile</Heading>
      <Facts
        of={[
          ["Party", party],
          [
            "User IDs whose rows you see",
            userIds.length === 0 ? (
              "None: the register assigns none to your Party, or your Identity Provider named none."
            ) : (
              <ul class="plain">
                {userIds.map((id) => (
                  <li key={id}>
                    <Copied text={id} />
                  </li>
                ))}
              </ul>
            ),
          ],
          ["Roles", jobTypeRoles.join(", ")],
          ["Your session ends at", <Time at={expiresAt} />],
        ]}
      />
      <p class="small">These are your Party’s own User IDs and those that other Parties granted to it, as of now.</p>
      <YourDetails />
      <Table caption="What your roles allow" columns={["Functional component", "Use cases", "Access"]}>
        {COMPONENTS.map(({ name, useCases }) => (
          <tr key={name}>
            <td>{name}</td>
            <td>{useCases.join(", ")}</td>
            <td>{functionalComponents.includes(name) ? "Yes" : "No"}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}
