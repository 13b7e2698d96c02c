import Placement
import Testing

@Suite struct RingVersionTests {
    private let members = (1...5).map { RingVersion.Member(key: UInt64($0) &* 0x9e37_79b9_7f4a_7c15, weight: 1) }

    @Test("the order of members does not matter")
    func order() {
        #expect(RingVersion(members: members) == RingVersion(members: members.reversed()))
    }

    @Test("a member more, a member less or another weight is another version")
    func changes() {
        var heavier = members
        heavier[3] = RingVersion.Member(key: heavier[3].key, weight: 2)
        let versions = [members, Array(members.dropLast()), heavier, members + [.init(key: 9, weight: 1)], []].map {
            RingVersion(members: $0)
        }
        #expect(Set(versions).count == versions.count)
    }
}
