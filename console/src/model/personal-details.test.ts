import { expect, test } from "vitest";
import { faultsOf } from "./personal-details.ts";

const zoe = { firstName: "Zoë", lastName: "O’Brien-Müller", emailAddress: "zoe.obrien@supply.example.com", telephoneNumber: "+44 (0)20 7946-0000" };

test("what people are called and where they are reached is taken", () => {
  expect(faultsOf(zoe)).toEqual({});
  expect(faultsOf({ firstName: " J ", lastName: "é".repeat(100), emailAddress: " a+b'c@x.co ", telephoneNumber: "0207946" })).toEqual({});
});

test("what is missing is asked for by its name", () => {
  expect(faultsOf({ firstName: "", lastName: " ", emailAddress: "", telephoneNumber: "" })).toEqual({
    firstName: "Enter your first name.",
    lastName: "Enter your last name.",
    emailAddress: "Enter your e-mail address.",
    telephoneNumber: "Enter your telephone number.",
  });
});

// As in crates/session/src/details.rs.
test("what is none is told, field by field", () => {
  for (const emailAddress of ["a", "a@", "@x.example", "a@localhost", "a b@x.example", "a@x..example", "a@-x.example", "a@b@", `${"a".repeat(65)}@x.example`]) {
    expect(Object.keys(faultsOf({ ...zoe, emailAddress })), emailAddress).toEqual(["emailAddress"]);
  }
  for (const telephoneNumber of ["123456", "1234567890123456", "020 7946 OOOO", "++442079460000", "0207946+0000", `0207946${" ".repeat(40)}0`]) {
    expect(Object.keys(faultsOf({ ...zoe, telephoneNumber })), telephoneNumber).toEqual(["telephoneNumber"]);
  }
  expect(Object.keys(faultsOf({ ...zoe, firstName: "é".repeat(101), lastName: "a\nb" }))).toEqual(["firstName", "lastName"]);
});
